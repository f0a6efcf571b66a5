package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// mergeCommand merges the shards of a run into one report.
func mergeCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "merge FILE...", Short: "Make one report of the JSON reports of a run's shards", Args: cobra.MinimumNArgs(1),
		Example: "  mcpauth run URL --shard 1/2 --report json=1.json\n  mcpauth run URL --shard 2/2 --report json=2.json\n  mcpauth merge " +
			"1.json 2.json --report json=mcpauth.json \\\n    --report html=mcpauth.html",
		RunE: func(c *cobra.Command, args []string) error {
			return o.mergeFiles(c, args)
		},
	}
	o.rendering(c.Flags())
	c.Flags().StringVar(&o.failOn, "fail-on", "must", "weakest level whose findings fail the run: must, should, practice or none")
	c.Flags().BoolVar(&o.complete, "require-complete", false, "for CI gates: end with 3 if a selected MUST was not tested")
	return c
}

// mergeFiles merges the reports in the files.
func (o *options) mergeFiles(c *cobra.Command, paths []string) error {
	if err := o.threshold(); err != nil {
		return &exit{reports.ExitUsage, err}
	}
	order, err := suites.Checks()
	if err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	var parts []reports.Redacted
	for _, path := range paths {
		run, err := readRun(path)
		if err != nil {
			return err
		}
		parts = append(parts, run)
	}
	whole, err := reports.Merge(parts, order)
	if err != nil {
		return &exit{reports.ExitUsage, fmt.Errorf("these reports cannot be merged: %w", err)}
	}
	return o.conclude(c, reports.Held(whole, o.rule()))
}

// conclude writes reports of a finished run, and returns its outcome.
func (o *options) conclude(c *cobra.Command, run reports.Redacted) error {
	if err := o.writeReports(c, run); err != nil {
		return err
	}
	return o.outcome(run)
}

// shard parses --shard: i/n, or auto, which uses the numbers of parallel jobs in CI systems.
func shard(text string) (reports.Shard, error) { return partOf("shard", text) }

// partOf parses the value of --shard or --split: i/n, or auto, which uses the numbers of parallel jobs.
func partOf(flag, text string) (reports.Shard, error) {
	switch text {
	case "":
		return reports.Shard{}, nil
	case "auto":
		return numberedPart(flag)
	}
	part, err := reports.ParseShard(text)
	if err != nil {
		err = fmt.Errorf("--%s: %w", flag, err)
	}
	return part, err
}

// numberedPart returns the part of this job, by the number that the system for parallel jobs assigns.
func numberedPart(flag string) (reports.Shard, error) {
	count := "MCPAUTH_" + strings.ToUpper(flag) + "_COUNT" // a Kubernetes indexed Job does not pass the count
	for _, ci := range []struct {
		index, count string
		from         int // the first index
	}{
		{"CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0},
		{"BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0},
		{"CI_NODE_INDEX", "CI_NODE_TOTAL", 1},         // GitLab
		{"MCPAUTH_JOB_INDEX", "MCPAUTH_JOB_TOTAL", 0}, // GitHub, from strategy.job-index and strategy.job-total
		{"JOB_COMPLETION_INDEX", count, 0},            // Kubernetes
	} {
		index, err := strconv.Atoi(os.Getenv(ci.index))
		if err != nil {
			continue
		}
		total := os.Getenv(ci.count)
		if total == "" {
			return reports.Shard{}, fmt.Errorf("--%s auto: %s is set and %s is not: set it to the number of parts", flag, ci.index, ci.count)
		}
		return reports.ParseShard(fmt.Sprintf("%d/%s", index-ci.from+1, total))
	}
	return reports.Shard{}, fmt.Errorf("--%s auto: none of the variables is set with which GitLab, CircleCI, Buildkite, GitHub "+
		"(MCPAUTH_JOB_INDEX and MCPAUTH_JOB_TOTAL from its matrix) or a Kubernetes indexed Job (with %s) number their parts", flag, count)
}
