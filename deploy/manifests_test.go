package deploy

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is a Kubernetes object, as far as it is looked at.
type object struct {
	Kind     string
	Metadata named
	Spec     struct {
		Replicas int
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		VolumeClaimTemplates []struct{ Metadata named } `yaml:"volumeClaimTemplates"`
	}
}

type named struct{ Name string }

type pod struct {
	SecurityContext struct {
		RunAsNonRoot bool `yaml:"runAsNonRoot"`
	} `yaml:"securityContext"`
	Volumes    []named
	Containers []container
}

type container struct {
	Name, Image     string
	Ports           []named
	ReadinessProbe  probe `yaml:"readinessProbe"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	Resources       struct{ Limits map[string]string }
	VolumeMounts    []named `yaml:"volumeMounts"`
	SecurityContext struct {
		ReadOnlyRootFilesystem bool `yaml:"readOnlyRootFilesystem"`
	} `yaml:"securityContext"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// TestKubernetes reads all manifests that the set names, and looks at what its parts must have and refer to.
func TestKubernetes(t *testing.T) {
	var set struct{ Resources []string }
	if err := yaml.Unmarshal([]byte(text(t, "kubernetes/kustomization.yaml")), &set); err != nil {
		t.Fatal(err)
	}
	replicas := make(map[string]int)
	for _, name := range set.Resources {
		for _, o := range objects(t, filepath.Join("kubernetes", name)) {
			if o.Kind == "" || o.Metadata.Name == "" {
				t.Errorf("%s: an object without kind or name", name)
			}
			if o.Kind == "Deployment" || o.Kind == "StatefulSet" {
				replicas[o.Metadata.Name] = o.Spec.Replicas
				checkWorkload(t, &o)
			}
		}
	}
	for name, least := range map[string]int{"nats": 3, "ingest": 2, "assembler": 2, "writer": 1, "notifier": 1} {
		if replicas[name] < least {
			t.Errorf("%s: %d replicas, want %d or more", name, replicas[name], least)
		}
	}
}

func objects(t *testing.T, path string) (all []object) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(text(t, path))); ; {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, o)
	}
}

func checkWorkload(t *testing.T, o *object) {
	t.Helper()
	name, spec := o.Metadata.Name, o.Spec.Template.Spec
	for label, value := range o.Spec.Selector.MatchLabels {
		if o.Spec.Template.Metadata.Labels[label] != value {
			t.Errorf("%s: its selector doesn't find its pods", name)
		}
	}
	if len(o.Spec.Selector.MatchLabels) == 0 || len(spec.Containers) != 1 || !spec.SecurityContext.RunAsNonRoot {
		t.Fatalf("%s: want a selector, one container, and no root", name)
	}
	volumes := slices.Clone(spec.Volumes)
	for _, claim := range o.Spec.VolumeClaimTemplates {
		volumes = append(volumes, claim.Metadata)
	}
	c := spec.Containers[0]
	for _, mount := range c.VolumeMounts {
		if !slices.Contains(volumes, mount) {
			t.Errorf("%s: there is no volume %s", name, mount.Name)
		}
	}
	for _, p := range []probe{c.ReadinessProbe, c.LivenessProbe} {
		if p.HTTPGet.Path == "" || !slices.Contains(c.Ports, named{p.HTTPGet.Port}) {
			t.Errorf("%s: probe of %q on port %q, which it has not", name, p.HTTPGet.Path, p.HTTPGet.Port)
		}
	}
	if c.Resources.Limits["memory"] == "" || !c.SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("%s: want a limit of memory and a read-only root", name)
	}
}

// TestUnits has systemd read the units, where it is there. Their programs need not be.
func TestUnits(t *testing.T) {
	units, err := filepath.Glob("systemd/*.service")
	if err != nil || len(units) < 6 {
		t.Fatalf("units %v, %v", units, err)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	dir := t.TempDir()
	for _, unit := range units {
		content := text(t, unit)
		for _, want := range []string{"\nExecStart=/usr/local/bin/", "\nUser=", "\nRestart=always\n", "\nMemoryMax=", "\nProtectSystem=strict\n"} {
			if strings.Count(content, want) != 1 {
				t.Errorf("%s: want one %q", unit, strings.TrimSpace(want))
			}
		}
		if err != nil {
			continue // the parts above are all that can be checked here
		}
		instance := filepath.Join(dir, strings.Replace(filepath.Base(unit), "@", "@9911", 1))
		program, _, _ := strings.Cut(content[strings.Index(content, "/usr/local/bin/"):], " ")
		if err := os.WriteFile(instance, []byte(strings.Replace(content, program, "/bin/true", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", instance).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
