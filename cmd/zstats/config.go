package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/config"
	"github.com/zstats/zstats/pkg/table"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show what a service is configured to do",
		Long: `Check and show the settings of a service. A setting is a flag; by the same name it may stand in the environment
(--ingest.addr is ZSTATS_INGEST_ADDR) or in the YAML file that --config names. A flag wins over the environment, the
environment over the file, the file over the older server's file (--legacy-config), and that over the default.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(configCheckCommand(), configShowCommand())
	return cmd
}

// configured is what a subcommand of `zstats config` looks at.
type configured struct {
	settings settings
	service  string
	json     bool
}

// register gives the command all flags that a service may have.
func (c *configured) register(cmd *cobra.Command) {
	for _, register := range allGroups() {
		register(&c.settings, cmd.Flags())
	}
	var names []string
	for _, s := range services() {
		names = append(names, s.use)
	}
	cmd.Flags().StringVar(&c.service, "service", "run", "whose settings: "+strings.Join(names, ", "))
	_ = cmd.RegisterFlagCompletionFunc("service", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)) // fails only without the flag
	completeFlags(cmd)
}

// resolve returns the settings that the service has, and the service.
func (c *configured) resolve(cmd *cobra.Command) (*config.Settings, service, error) {
	for _, s := range services() {
		if s.use != c.service {
			continue
		}
		all, err := config.Resolve(cmd.Flags(), config.Sources{Known: knownSetting})
		if err != nil {
			return nil, s, usage(err)
		}
		own := s.command().Flags()
		kept := all.All[:0]
		for _, setting := range all.All {
			if own.Lookup(setting.Name) != nil && setting.Name != "service" && setting.Name != "json" {
				kept = append(kept, setting)
			}
		}
		all.All = kept
		return all, s, nil
	}
	return nil, service{}, usagef("there is no service %q: see --help for those that there are", c.service)
}

func configCheckCommand() *cobra.Command {
	c := new(configured)
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the settings of a service, and the files that they name, without starting it",
		Example: `  zstats config check --config /etc/zstats/zstats.yaml
  zstats config check --service ingest --config /etc/zstats/zstats.yaml
  zstats config check --legacy-config /etc/stats.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, s, err := c.resolve(cmd)
			if err != nil {
				return err
			}
			if err := firstError(s.check(&c.settings), s.checkFiles(&c.settings)); err != nil {
				return usage(err)
			}
			for _, n := range all.Notes {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s is %s\n", n.Place, n.Key, n.Text)
			}
			for _, name := range strays() {
				fmt.Fprintf(cmd.OutOrStdout(), "the environment variable %s is no setting of zstats and is ignored\n", name)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the settings of 'zstats %s' are good\n", s.use)
			return nil
		},
	}
	c.register(cmd)
	return cmd
}

func configShowCommand() *cobra.Command {
	c := new(configured)
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show every setting of a service and where it comes from",
		Long:  `Show every setting of a service and where it comes from. Secrets are hidden.`,
		Example: `  zstats config show --config /etc/zstats/zstats.yaml
  zstats config show --service writer --json | jq -r 'select(.source != "default")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, _, err := c.resolve(cmd)
			if err != nil {
				return err
			}
			return c.show(cmd, all.All)
		},
	}
	c.register(cmd)
	cmd.Flags().BoolVar(&c.json, "json", false, "write one JSON object a line")
	return cmd
}

// shownSetting is a setting as machines get it.
type shownSetting struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Source   string `json:"source"`
	Variable string `json:"variable"`
}

func (c *configured) show(cmd *cobra.Command, all []config.Setting) error {
	out := cmd.OutOrStdout()
	columns := []table.Column{{Title: "SETTING"}, {Title: "VALUE", Min: 12}, {Title: "FROM", Min: 12, KeepEnd: true}}
	var rows [][]string
	for _, s := range all {
		value := s.Value
		if s.Secret && value != "" && value != "[]" {
			value = "(hidden)"
		}
		if c.json {
			if err := table.JSON(out, shownSetting{s.Name, value, s.Source, config.Variable(s.Name)}); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{s.Name, value, s.Source})
	}
	if c.json {
		return nil
	}
	return table.Write(table.Options{Out: out, Width: terminalWidth(os.Stdout), Color: colored() && terminalWidth(os.Stdout) > 0}, columns, rows)
}
