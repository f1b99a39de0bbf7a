// Command box stands for the few tools that images of third parties have and health checks use, in images that are built here
// because no registry can be reached: wget (only with a URL, which must answer 200) and chown (only with numbers, not recursive).
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(tool string, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("arguments are missing")
	case tool == "wget":
		return get(args[len(args)-1])
	case tool == "chown":
		return own(args[0], args[1:])
	}
	return fmt.Errorf("%s is none of wget, chown", tool)
}

func get(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func own(owner string, paths []string) error {
	user, group, _ := strings.Cut(owner, ":")
	uid, err := strconv.Atoi(user)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(group)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}
