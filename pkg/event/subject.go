package event

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

// The streams.
const (
	Raw     = "RAW"     // what collectors sent: the blobs of one target from one request a message
	Schemas = "SCHEMAS" // one schema a message, the last of each subject kept
	Scrapes = "SCRAPES" // one rebuilt scrape a message, and the assembler's checkpoints
	Events  = "EVENTS"  // one scrape on disk a message, and the writer's checkpoints
	Dead    = "DEAD"    // what could not be processed
)

// The stages, as checkpoints name them.
const (
	StageAssembler = "assembler"
	StageWriter    = "writer"
)

// RawSubject is the subject of a target's blobs, in one of n partitions.
func RawSubject(t scrape.Target, n int) string { return targetSubject("zs.raw.", t, n) }

// ScrapeSubject is the subject of a target's rebuilt scrapes, in one of n partitions.
func ScrapeSubject(t scrape.Target, n int) string { return targetSubject("zs.scrape.", t, n) }

// RequeuedSubject is the subject of what blob k of a dead letter was folded to later, in one of n partitions. The letter is named
// by a token that is the same for all copies of it. Whoever reads the partition's scrapes gets these too, in their place in the
// stream; whoever asks for the target's state, the last message on ScrapeSubject, does not.
func RequeuedSubject(t scrape.Target, n int, letter string, k int) string {
	return ScrapeSubject(t, n) + "." + letter + "." + strconv.Itoa(k)
}

// RequeuedScrapes matches all messages on a target's RequeuedSubjects.
func RequeuedScrapes(t scrape.Target, n int) string { return ScrapeSubject(t, n) + ".>" }

// AllRequeued matches all messages on RequeuedSubjects.
const AllRequeued = "zs.scrape.*.*.*.*.*"

// Requeued returns the letter and the blob that a RequeuedSubject names; ok is false for every other subject.
func Requeued(subject string) (letter string, k int, ok bool) {
	const tokens = 7
	if !strings.HasPrefix(subject, "zs.scrape.") || strings.Count(subject, ".") != tokens-1 {
		return "", 0, false
	}
	last := strings.Split(subject, ".")[tokens-2:]
	k, err := strconv.Atoi(last[1])
	return last[0], k, err == nil
}

// EventSubject is the subject of a target's events, in one of n partitions.
func EventSubject(t scrape.Target, n int) string { return targetSubject("zs.event.", t, n) }

// AllPartitions stands for all partitions where one is asked for.
const AllPartitions = -1

// RawPartition matches all blobs of partition p.
func RawPartition(p int) string { return "zs.raw." + partitionToken(p) + ".>" }

// ScrapePartition matches all rebuilt scrapes of partition p, those of requeued dead letters among them.
func ScrapePartition(p int) string { return "zs.scrape." + partitionToken(p) + ".>" }

func partitionToken(p int) string {
	if p == AllPartitions {
		return "*"
	}
	return strconv.Itoa(p)
}

// Partition returns the partition in the subject of a blob, a rebuilt scrape or an event.
func Partition(subject string) (p int, ok bool) {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) < 4 {
		return 0, false
	}
	p, err := strconv.Atoi(tokens[2])
	return p, err == nil
}

// EventFilter matches the events of an account, or of all accounts if account is empty.
func EventFilter(account string) string {
	if account == "" {
		return "zs.event.>"
	}
	return "zs.event.*." + token(account) + ".*"
}

// RawFilter matches the blobs of an account, or of all accounts if account is empty.
func RawFilter(account string) string {
	if account == "" {
		return "zs.raw.>"
	}
	return "zs.raw.*." + token(account) + ".*"
}

// ScrapeFilter matches the rebuilt scrapes of an account, or of all accounts if account is empty, those of requeued dead letters
// among them.
func ScrapeFilter(account string) string {
	if account == "" {
		return "zs.scrape.>"
	}
	return "zs.scrape.*." + token(account) + ".>"
}

// SchemaSubject is the subject of an account's schema.
func SchemaSubject(account string, h scrape.Hash) string {
	return "zs.schema." + token(account) + "." + h.String()
}

// DeadSubject is the subject of a target's dead letters.
func DeadSubject(t scrape.Target) string {
	return "zs.dead." + token(t.Account) + "." + targetToken(t)
}

// CheckpointSubject is the subject of the checkpoints of partition p of a stage, in the stage's output stream.
func CheckpointSubject(stage string, p int) string {
	return "zs.ckpt." + stage + "." + strconv.Itoa(p)
}

// Checkpoints matches the checkpoints of all partitions of a stage.
func Checkpoints(stage string) string { return "zs.ckpt." + stage + ".*" }

// PartSubject is the subject of the parts of a message that is too large for one, in the stream that holds the message.
func PartSubject(stream string) string { return "zs.part." + stream }

// DeadLetters matches the dead letters of an account, or of all accounts if account is empty.
func DeadLetters(account string) string {
	if account == "" {
		return "zs.dead.>"
	}
	return "zs.dead." + token(account) + ".*"
}

// TargetKey names a target in a key-value bucket. Keys may have fewer characters than subjects, so '/' takes the place of '@'
// and '~'.
func TargetKey(t scrape.Target) string {
	key := []byte(token(t.Account) + "." + targetToken(t))
	for i, c := range key {
		if c == '@' || c == '~' {
			key[i] = '/'
		}
	}
	return string(key)
}

func targetSubject(prefix string, t scrape.Target, n int) string {
	return prefix + strconv.Itoa(t.Partition(n)) + "." + token(t.Account) + "." + targetToken(t)
}

// targetToken joins source and name with '@', which occurs in neither once escaped.
func targetToken(t scrape.Target) string {
	if t.Source == "" {
		return token(t.Name)
	}
	return token(t.Source) + "@" + token(t.Name)
}

// maxToken is the longest escaped token that is used as it is, in bytes.
const maxToken = 120

// token makes any string one token of a subject, and of a key. Letters, digits, '-' and '_' stand for themselves, every other
// byte is '=' and two hexadecimal digits. A token that would be long is '=~' and a hash, which no escape looks like.
func token(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = isPlain(s[i])
	}
	if plain && len(s) > 0 && len(s) <= maxToken {
		return s
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if isPlain(s[i]) {
			b.WriteByte(s[i])
			continue
		}
		b.Write([]byte{'=', digits[s[i]>>4], digits[s[i]&15]})
	}
	if b.Len() > maxToken {
		sum := sha256.Sum256([]byte(s))
		return "=~" + hex.EncodeToString(sum[:16])
	}
	if b.Len() == 0 {
		return "=" // a token is never empty
	}
	return b.String()
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
