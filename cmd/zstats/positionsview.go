package main

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/table"
	"github.com/zstats/zstats/pkg/when"
)

// positions shows a row for each position. Owners and gaps have columns only if there are any.
func (d *display) positions(all []*eventpb.Position, now time.Time) error {
	anyOwner, anyGap := false, false
	for _, p := range all {
		anyOwner, anyGap = anyOwner || owner(p) != "", anyGap || p.GetGap() != nil
	}
	columns := []table.Column{{Title: "NAME", Min: 8}}
	if anyOwner {
		columns = append(columns, table.Column{Title: "OWNER", Min: 6})
	}
	columns = append(columns, table.Column{Title: "SELECTS", Min: 7}, table.Column{Title: "PENDING", Right: true}, table.Column{Title: "UNACKED", Right: true},
		table.Column{Title: "WAITING", Right: true}, table.Column{Title: "OLDEST", Right: true}, table.Column{Title: "ACKED", Right: true})
	if anyGap {
		columns = append(columns, table.Column{Title: "GAP"})
	}
	rows := make([][]string, len(all))
	for i, p := range all {
		row := []string{p.GetName()}
		if anyOwner {
			row = append(row, orDash(owner(p)))
		}
		rows[i] = append(row, selects(p), number(p.GetPending()), number(p.GetUnacked()), number(p.GetWaiting()), oldest(p, now), number(p.GetAckedSequence()))
		if anyGap {
			rows[i] = append(rows[i], gapOf(p))
		}
	}
	return d.table(columns, rows)
}

// position shows all of one.
func (d *display) position(p *eventpb.Position, now time.Time) error {
	facts := [][]string{
		{"name", p.GetName()},
		{"owner", orDash(owner(p))},
		{"account", cmp.Or(p.GetAccount(), "all")},
		{"target", cmp.Or(p.GetTarget(), "all")},
		{"acknowledged", "all up to sequence " + number(p.GetAckedSequence())},
		{"pending", count(p.GetPending(), "event") + " to be delivered"},
		{"unacknowledged", count(p.GetUnacked(), "event") + " delivered"},
		{"oldest", d.oldest(p, now)},
		{"waiting", count(p.GetWaiting(), "member") + " for events"},
	}
	if p.GetTarget() != "" {
		facts[5][1] += ", of all targets"
	}
	if p.GetGap() != nil {
		facts = append(facts, []string{"gap", "events " + gapOf(p) + " were removed before they were acknowledged"})
	}
	return d.table([]table.Column{{}, {}}, facts)
}

func (d *display) oldest(p *eventpb.Position, now time.Time) string {
	if p.GetOldestUs() == 0 {
		return "-"
	}
	return d.time(p.GetOldestUs(), when.Layout) + ", " + oldest(p, now) + " ago"
}

// oldest returns the age of the oldest event that is not acknowledged.
func oldest(p *eventpb.Position, now time.Time) string {
	if p.GetOldestUs() == 0 {
		return "-"
	}
	return ageOf(now.Sub(time.UnixMicro(p.GetOldestUs())))
}

// owner returns whose a position is, as accounts are written in files of them, or nothing.
func owner(p *eventpb.Position) string {
	if p.GetOwnerSource() == "" {
		return p.GetOwnerAccount()
	}
	return p.GetOwnerAccount() + "@" + p.GetOwnerSource()
}

// selects returns a position's account and target, a star for all.
func selects(p *eventpb.Position) string {
	return cmp.Or(p.GetAccount(), "*") + "/" + cmp.Or(p.GetTarget(), "*")
}

func gapOf(p *eventpb.Position) string {
	if p.GetGap() == nil {
		return "-"
	}
	return fmt.Sprintf("%d to %d", p.GetGap().GetFirstSequence(), p.GetGap().GetLastSequence())
}

func number[N uint32 | uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }

// count returns a number of things.
func count[N uint32 | uint64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return number(n) + " " + thing
}

func orDash(s string) string { return cmp.Or(s, "-") }

// positionObject has the names of the protocol.
type positionObject struct {
	Name         string     `json:"name"`
	OwnerAccount string     `json:"owner_account,omitempty"`
	OwnerSource  string     `json:"owner_source,omitempty"`
	Account      string     `json:"account"`
	Target       string     `json:"target"`
	Acked        uint64     `json:"acked_sequence"`
	Pending      uint64     `json:"pending"`
	Unacked      uint64     `json:"unacked"`
	Waiting      uint32     `json:"waiting"`
	Gap          *gapObject `json:"gap,omitempty"`
	OldestUs     int64      `json:"oldest_us,omitempty"`
}

type gapObject struct {
	First uint64 `json:"first_sequence"`
	Last  uint64 `json:"last_sequence"`
}

func positionObjectOf(p *eventpb.Position) positionObject {
	o := positionObject{
		Name: p.GetName(), OwnerAccount: p.GetOwnerAccount(), OwnerSource: p.GetOwnerSource(), Account: p.GetAccount(), Target: p.GetTarget(),
		Acked: p.GetAckedSequence(), Pending: p.GetPending(), Unacked: p.GetUnacked(), Waiting: p.GetWaiting(), OldestUs: p.GetOldestUs(),
	}
	if g := p.GetGap(); g != nil {
		o.Gap = &gapObject{g.GetFirstSequence(), g.GetLastSequence()}
	}
	return o
}
