// Package kubernetes checks docs/deploy/kubernetes against the types of the Kubernetes API.
package kubernetes

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// read decodes a manifest strictly: an unknown field is an error.
func read(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "deploy", "kubernetes", name))
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(b, into))
}

func TestJobIsIndexedAndResumes(t *testing.T) {
	var cron batch.CronJob
	read(t, "job.yaml", &cron)
	assert.Equal(t, "batch/v1 CronJob", cron.APIVersion+" "+cron.Kind)
	job := cron.Spec.JobTemplate.Spec
	require.NotNil(t, job.CompletionMode)
	assert.Equal(t, batch.IndexedCompletion, *job.CompletionMode)
	assert.NotNil(t, job.BackoffLimitPerIndex)
	assert.Nil(t, job.BackoffLimit, "the limit of the whole Job would end the other parts")
	assert.LessOrEqual(t, *job.Parallelism, *job.Completions)
	pod := job.Template.Spec
	assert.Equal(t, core.RestartPolicyNever, pod.RestartPolicy, "podFailurePolicy and backoffLimitPerIndex demand it")
	require.Len(t, pod.Containers, 1)
	c := pod.Containers[0]
	assert.Subset(t, c.Args, []string{"--split=auto", "--resume", "--out=/results/$(RUN)"})
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if e.Name == "RUN" {
			require.NotNil(t, e.ValueFrom, "with one folder for all nights, only the first one would test anything")
			assert.Equal(t, "metadata.labels['"+batch.JobNameLabel+"']", e.ValueFrom.FieldRef.FieldPath)
		}
	}
	assert.Contains(t, env, "RUN")
	assert.Equal(t, strconv.Itoa(int(*job.Completions)), env["MCPAUTH_SPLIT_COUNT"], "the parts are as many as the pods")
	mounted := map[string]bool{}
	for _, v := range pod.Volumes {
		mounted[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		assert.True(t, mounted[m.Name], m.Name)
	}
}

// The pod failure policy covers each exit code of a fleet.
func TestPodFailurePolicyKnowsOurExitCodes(t *testing.T) {
	var cron batch.CronJob
	read(t, "job.yaml", &cron)
	got := map[int32]batch.PodFailurePolicyAction{}
	for _, rule := range cron.Spec.JobTemplate.Spec.PodFailurePolicy.Rules {
		if rule.OnExitCodes == nil {
			require.NotEmpty(t, rule.OnPodConditions)
			continue
		}
		assert.Equal(t, batch.PodFailurePolicyOnExitCodesOpIn, rule.OnExitCodes.Operator)
		assert.Equal(t, cron.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Name, *rule.OnExitCodes.ContainerName)
		for _, code := range rule.OnExitCodes.Values {
			got[code] = rule.Action
		}
	}
	assert.Equal(t, map[int32]batch.PodFailurePolicyAction{
		2: batch.PodFailurePolicyActionFailJob, 3: batch.PodFailurePolicyActionCount, 4: batch.PodFailurePolicyActionCount,
		130: batch.PodFailurePolicyActionIgnore,
	}, got)
}

func TestPodHasNoRights(t *testing.T) {
	var cron batch.CronJob
	read(t, "job.yaml", &cron)
	pod := cron.Spec.JobTemplate.Spec.Template.Spec
	c := pod.Containers[0]
	assert.True(t, *pod.SecurityContext.RunAsNonRoot)
	assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
	assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
	assert.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
	assert.False(t, *pod.AutomountServiceAccountToken)
	assert.False(t, c.Resources.Limits.Memory().IsZero())
	assert.False(t, c.Resources.Requests.Cpu().IsZero())
}

func TestKustomizationNamesFilesThatExist(t *testing.T) {
	var claim core.PersistentVolumeClaim
	read(t, "results.yaml", &claim)
	assert.Contains(t, claim.Spec.AccessModes, core.ReadWriteMany, "the pods run on several nodes")
	var k struct {
		Resources          []string
		ConfigMapGenerator []struct{ Files []string }
	}
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "deploy", "kubernetes", "kustomization.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(b, &k))
	require.NotEmpty(t, k.ConfigMapGenerator)
	for _, name := range append(k.Resources, k.ConfigMapGenerator[0].Files...) {
		assert.FileExists(t, filepath.Join("..", "..", "docs", "deploy", "kubernetes", name))
	}
}
