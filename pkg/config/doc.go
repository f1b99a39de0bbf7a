// Package config settles what a program is told: by flags, by environment variables and by a YAML file, under the same names.
//
// A setting is a flag. The flag --ingest.head-limit is also the environment variable ZSTATS_INGEST_HEAD_LIMIT and, in a file,
//
//	ingest:
//	  head-limit: 6h
//
// or, flat, `ingest.head-limit: 6h`. A flag wins over the environment, the environment over the file, and the file over the
// default. A setting that may be given several times is a list in the file and is separated by blanks in the environment.
//
// A file serves several programs: settings that another one of them has are known and left aside. A name that none has is an
// error, with its line. Environment variables that name no setting are ignored, since orchestrators make up some of their own; Strays
// finds those that look like a mistake.
package config
