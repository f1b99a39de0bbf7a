package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one setting in a file.
type entry struct {
	name   string
	values []string
	line   int
}

// parse reads a YAML file into entries, in its order. Errors begin with the line.
func parse(data []byte) ([]entry, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf(" %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return nil, nil // an empty file
	}
	p := parser{seen: make(map[string]int)}
	if err := p.mapping(doc.Content[0], ""); err != nil {
		return nil, err
	}
	return p.entries, nil
}

type parser struct {
	entries []entry
	seen    map[string]int // the lines of names
}

func (p *parser) mapping(n *yaml.Node, prefix string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%d: want NAME: VALUE", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			return fmt.Errorf("%d: a name must be plain text", key.Line)
		}
		if err := p.value(prefix+key.Value, key.Line, value); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) value(name string, line int, n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		return fmt.Errorf("%d: aliases are not supported", n.Line)
	}
	if n.Kind == yaml.MappingNode {
		return p.mapping(n, name+".")
	}
	if before, ok := p.seen[name]; ok {
		return fmt.Errorf("%d: %s is set in line %d already", line, name, before)
	}
	p.seen[name] = line
	values, err := scalars(n)
	if err != nil {
		return fmt.Errorf("%d: %s: %w", n.Line, name, err)
	}
	p.entries = append(p.entries, entry{name: name, values: values, line: line})
	return nil
}

// scalars returns the text of a value or of the values of a list.
func scalars(n *yaml.Node) ([]string, error) {
	if n.Kind == yaml.ScalarNode {
		if n.Tag == "!!null" {
			return nil, errors.New("it has no value")
		}
		return []string{n.Value}, nil
	}
	values := []string{} // an empty list is a value too
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			return nil, errors.New("want a value or a list of values")
		}
		values = append(values, item.Value)
	}
	return values, nil
}
