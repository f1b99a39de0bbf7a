package deploy

import (
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestCompose looks at what every container of the stack must have.
func TestCompose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Image       string
			User        string
			Restart     string
			ReadOnly    bool     `yaml:"read_only"`
			CapDrop     []string `yaml:"cap_drop"`
			MemLimit    string   `yaml:"mem_limit"`
			Scale       int
			Healthcheck struct{ Test []string }
		}
	}
	if err := yaml.Unmarshal([]byte(text(t, "../compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Services {
		once := name == "volumes" // ends when it has done its work
		switch {
		case !once && (s.User == "" || strings.HasPrefix(s.User, "0")):
			t.Errorf("%s runs as root", name)
		case !once && (s.Restart == "" || len(s.Healthcheck.Test) == 0):
			t.Errorf("%s has no restart policy or no health check", name)
		case !s.ReadOnly || s.MemLimit == "" || len(s.CapDrop) != 1 || s.CapDrop[0] != "ALL":
			t.Errorf("%s: want a read-only root, a limit of memory and no capabilities", name)
		}
		if _, tag, _ := strings.Cut(s.Image, ":"); tag == "" || tag == "latest" {
			t.Errorf("%s: image %s has no version", name, s.Image)
		}
	}
	for name, want := range map[string]int{"ingest": 2, "assembler": 2} {
		if file.Services[name].Scale != want {
			t.Errorf("%s: %d of them, want %d", name, file.Services[name].Scale, want)
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", "github.com/nats-io/nats-server/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
	if want := "nats:" + version + "-alpine"; file.Services["nats-1"].Image != want {
		t.Errorf("NATS is %s, but go.mod has %s", file.Services["nats-1"].Image, want)
	}
	if !strings.Contains(text(t, "kubernetes/kustomization.yaml"), "newTag: "+version+"-alpine") {
		t.Errorf("Kubernetes has another NATS than %s", version)
	}
}
