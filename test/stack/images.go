package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sources are the Go modules of the third parties' images, by the images' names.
func sources() map[string]string {
	return map[string]string{
		"nats":               "github.com/nats-io/nats-server/v2",
		"caddy":              "github.com/caddyserver/caddy/v2/cmd/caddy",
		"prom/node-exporter": "github.com/prometheus/node_exporter",
	}
}

// standInLabel marks images that were built here in place of what a registry has.
const standInLabel = "zstats.stand-in=true"

// images are the images that a run has made, and takes away again.
type images struct {
	made []string
}

// thirdParty sees to every image that the compose file names, but our own: one that is there is used, else it is pulled, else its
// program is built from its module, at the version of the tag.
func (i *images) thirdParty(ctx context.Context, composeFile string) error {
	names, err := imagesOf(composeFile)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := docker(ctx, "image", "inspect", name); err == nil {
			continue
		}
		if _, err := docker(ctx, "pull", "-q", name); err == nil {
			continue
		}
		fmt.Println("no registry has", name, "for us: building it from its module")
		if err := i.standIn(ctx, name); err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
	}
	return nil
}

// imagesOf returns the images of a compose file that are not ours.
func imagesOf(composeFile string) (names []string, err error) {
	data, err := os.ReadFile(composeFile)
	if err != nil {
		return nil, err
	}
	var file struct {
		Services map[string]struct{ Image string }
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", composeFile, err)
	}
	seen := make(map[string]bool)
	for _, s := range file.Services {
		if !seen[s.Image] && !strings.HasPrefix(s.Image, "zstats/") {
			names = append(names, s.Image)
		}
		seen[s.Image] = true
	}
	return names, nil
}

// standIn builds an image with a module's program, and wget and chown beside it.
func (i *images) standIn(ctx context.Context, name string) error {
	repository, tag, _ := strings.Cut(name, ":")
	module, ok := sources()[repository]
	if !ok {
		return fmt.Errorf("no module is known for %s", repository)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(tag, "v"), "-")
	dir, err := os.MkdirTemp("", "zstats-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "bin")
	static := []string{"CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOBIN=" + bin}
	if _, err := command(ctx, static, "go", "install", "-trimpath", "-ldflags", "-s -w", module+"@v"+version); err != nil {
		return err
	}
	if _, err := command(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-o", filepath.Join(bin, "box"), "./test/stack/box"); err != nil {
		return err
	}
	for _, tool := range []string{"wget", "chown"} {
		if err := os.Symlink("box", filepath.Join(bin, tool)); err != nil {
			return err
		}
	}
	text := "FROM scratch\nCOPY bin/ /bin/\n"
	if repository == "prom/node-exporter" {
		text += `ENTRYPOINT ["/bin/node_exporter"]` + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o600); err != nil {
		return err
	}
	if _, err := docker(ctx, "build", "-q", "--label", standInLabel, "-t", name, dir); err != nil {
		return err
	}
	i.made = append(i.made, name)
	return nil
}

// own builds the image of zstats under a tag.
func (i *images) own(ctx context.Context, tag string) error {
	_, err := command(ctx, nil, "make", "image", "TAGS="+tag)
	if err == nil {
		i.made = append(i.made, "zstats/zstats:"+tag)
	}
	return err
}

// remove takes away what was made.
func (i *images) remove(ctx context.Context) error {
	if len(i.made) == 0 {
		return nil
	}
	_, err := docker(ctx, append([]string{"rmi", "-f"}, i.made...)...)
	return err
}
