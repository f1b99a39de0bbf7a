package writer

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/volume"
)

// Why a scrape becomes a dead letter beside those for which it can't be rendered.
const (
	reasonConflict   render.Reason = "place_taken" // something else lies where its files belong
	reasonIncomplete render.Reason = "incomplete"  // the log has lost some of its data
)

func reasons() []render.Reason {
	return []render.Reason{render.ReasonUndecodable, render.ReasonNoSchema, render.ReasonMismatch, reasonConflict, reasonIncomplete, render.ReasonPanic}
}

// The kinds of errors that fail a batch.
const (
	kindSpace    = "space"
	kindReadOnly = "read_only"
	kindDisk     = "disk"
	kindLog      = "log"
)

func kinds() []string { return []string{kindSpace, kindReadOnly, kindDisk, kindLog} }

func kindOf(err error) string {
	var fromLog *render.LogError
	switch {
	case errors.As(err, &fromLog):
		return kindLog
	case errors.Is(err, volume.ErrReserve), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return kindSpace
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return kindReadOnly
	default:
		return kindDisk
	}
}
