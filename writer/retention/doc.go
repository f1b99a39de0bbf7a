// Package retention removes the oldest scrapes from a directory of files, by age and by bytes, each account by its own limits.
//
// # What goes, and in which order
//
// A pass looks at one account after the other and takes its scrapes oldest first, whatever their target: as long as the
// oldest is over the account's age, or the account is over its bytes, it goes. What never goes:
//
//   - the newest scrape of each target;
//   - a scrape that was put on disk less than Options.Grace ago, so that whoever is told of it can read it;
//   - a scrape that a named position has not acknowledged (Options.Positions), be it that its event is still to come. What
//     stays for that is not made up for by removing younger scrapes of others: the account is then over its bytes by what is held.
//
// Bytes are those that the files and directories take on the disk, as du counts them. They are measured once for each
// scrape and remembered, 16 bytes of memory for each; accounts without a limit in bytes are not measured.
//
// # Beside writers, readers, and others of its kind
//
// A scrape leaves its place by one rename of its directory, with both files in it (volume.Remove). So there is never half a
// scrape, at whatever moment a process is killed; what was on its way out is swept by the next writer that starts.
//
// One process at a time removes: it holds a lock on the volume, which ends with the process. That is for economy alone.
// Where the locks of a shared file system are not shared, two may remove at once: they agree on the order, for it is that
// of the names, and a scrape that the other one has taken counts as removed.
//
// A writer writes a scrape again only if its batch was not committed, so none comes back whose event was sent. One that was
// written, not committed, and removed within the time until the batch is tried again is written again, with its one event.
package retention
