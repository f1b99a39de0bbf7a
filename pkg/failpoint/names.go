package failpoint

// Names returns all names. What stands behind a slash is the part that HitIn was given.
func Names() []string {
	return []string{
		// Ingest: what it appends, then the answer to the collector.
		"ingest.raw.before", "ingest.raw.after",
		"ingest.dead.before", "ingest.dead.after",
		"ingest.answer.before", "ingest.answer.after",

		// Each publication: before its first message, before the one that commits it if there are several, and with the server's
		// answer in hand.
		"log.batch.before/RAW", "log.batch.half/RAW", "log.batch.after/RAW",
		"log.batch.before/SCHEMAS", "log.batch.half/SCHEMAS", "log.batch.after/SCHEMAS",
		"log.batch.before/SCRAPES", "log.batch.half/SCRAPES", "log.batch.after/SCRAPES",
		"log.batch.before/EVENTS", "log.batch.half/EVENTS", "log.batch.after/EVENTS",
		"log.batch.before/DEAD", "log.batch.half/DEAD", "log.batch.after/DEAD",
		// Between two batches of one request that does not fit into one.
		"log.split",
		// A stream that was missing is there.
		"log.stream.made/RAW", "log.stream.made/SCHEMAS", "log.stream.made/SCRAPES", "log.stream.made/EVENTS", "log.stream.made/DEAD",

		// Checkpoints: with outputs, to take partitions, to release them.
		"worker.commit.before/assembler", "worker.commit.after/assembler",
		"worker.commit.before/writer", "worker.commit.after/writer",
		"worker.take.before/assembler", "worker.take.after/assembler",
		"worker.take.before/writer", "worker.take.after/writer",
		"worker.release.before/assembler", "worker.release.after/assembler",
		"worker.release.before/writer", "worker.release.after/writer",

		// What the assembler publishes before it commits.
		"assembler.schemas.before", "assembler.schemas.after",
		"assembler.letters.before", "assembler.letters.after",
		"assembler.marks.before", "assembler.marks.after",

		// Files: the steps of a group, see package volume, and the directory in which it stages.
		"volume/staged", "volume/written", "volume/durable", "volume/placed", "volume/named",
		"volume.claim.locked", "volume.claim.emptied", "volume.sweep.renamed", "volume.sweep.emptied",
		// Files that are removed because they are old.
		"volume/moved", "volume/gone",
		// What the writer can't write.
		"writer.letters.before", "writer.letters.after",

		// Removal of what is done and old.
		"trim.before/RAW", "trim.after/RAW",
		"trim.before/SCRAPES", "trim.after/SCRAPES",
		"trim.before/EVENTS", "trim.after/EVENTS",

		// The collector: its requests, and the files of its buffer.
		"collector.send.before", "collector.send.after", "collector.settled",
		"collector.buffer.synced", "collector.buffer.renamed", "collector.buffer.stored",
		"collector.buffer.remove.before", "collector.buffer.remove.after",
		"collector.buffer.aside.before", "collector.buffer.aside.after",
	}
}
