//go:build !unix

package main

import "os"

// terminalWidth returns 0: output is written as to a pipe.
func terminalWidth(*os.File) int { return 0 }
