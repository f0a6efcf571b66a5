package kubernetes

import (
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// built returns what kubectl apply -k sends for a folder: the Job, and the kinds of all objects.
func built(t *testing.T, folder string) (cron batch.CronJob, kinds []string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "deploy", folder)
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	require.NoError(t, err)
	for _, r := range all.Resources() {
		kinds = append(kinds, r.GetKind())
		if r.GetKind() == "CronJob" {
			b, err := r.AsYAML()
			require.NoError(t, err)
			require.NoError(t, yaml.UnmarshalStrict(b, &cron))
		}
	}
	return cron, kinds
}

func TestKustomizationBuilds(t *testing.T) {
	cron, kinds := built(t, "kubernetes")
	assert.ElementsMatch(t, []string{"ConfigMap", "CronJob", "PersistentVolumeClaim"}, kinds)
	pod := cron.Spec.JobTemplate.Spec.Template.Spec
	assert.NotEqual(t, "mcpauth", pod.Containers[0].Image, "the image is set")
	assert.NotEqual(t, "mcpauth-targets", pod.Volumes[0].ConfigMap.Name, "a changed list is another config map")
}

// With object storage, no volume is shared: results are fetched before mcpauth starts, and stored while it runs.
func TestObjectStorageBuilds(t *testing.T) {
	cron, kinds := built(t, "kubernetes-object-storage")
	assert.ElementsMatch(t, []string{"ConfigMap", "CronJob"}, kinds)
	base, _ := built(t, "kubernetes")
	assert.Equal(t, base.Spec.JobTemplate.Spec.PodFailurePolicy, cron.Spec.JobTemplate.Spec.PodFailurePolicy)
	pod := cron.Spec.JobTemplate.Spec.Template.Spec
	assert.Equal(t, base.Spec.JobTemplate.Spec.Template.Spec.Containers, pod.Containers)
	require.Len(t, pod.InitContainers, 2)
	assert.Nil(t, pod.InitContainers[0].RestartPolicy, "it ends before mcpauth begins")
	require.NotNil(t, pod.InitContainers[1].RestartPolicy)
	assert.Equal(t, core.ContainerRestartPolicyAlways, *pod.InitContainers[1].RestartPolicy, "a sidecar")
	for _, c := range pod.InitContainers {
		locked(t, c)
		mounted(t, c, pod.Volumes)
	}
	for _, v := range pod.Volumes {
		assert.Nil(t, v.PersistentVolumeClaim, v.Name)
	}
}

// The schemas of Kubernetes require each member that its types do not omit when it is empty.
func TestRequiredMembersAreSet(t *testing.T) {
	for _, folder := range []string{"kubernetes", "kubernetes-object-storage"} {
		cron, _ := built(t, folder)
		assert.Empty(t, unset(reflect.ValueOf(cron), "CronJob"), folder)
		cron.Spec.JobTemplate.Spec.PodFailurePolicy.Rules[0].OnPodConditions[0].Status = ""
		assert.Equal(t, []string{"CronJob.spec.jobTemplate.spec.podFailurePolicy.rules.0.onPodConditions.0.status"},
			unset(reflect.ValueOf(cron), "CronJob"))
	}
}

// unset returns the required texts and lists below a value that are empty.
func unset(v reflect.Value, at string) (out []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return unset(v.Elem(), at)
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, unset(v.Index(i), at+"."+strconv.Itoa(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field, value := v.Type().Field(i), v.Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			required := name != "" && !strings.Contains(options, "omit")
			if list := value.Kind() == reflect.String || value.Kind() == reflect.Slice; list && required && value.Len() == 0 {
				out = append(out, at+"."+name)
			}
			if field.IsExported() {
				out = append(out, unset(value, strings.TrimSuffix(at+"."+name, "."))...)
			}
		}
	}
	return out
}

// workflow is the part of an Argo CronWorkflow that the example uses, with Kubernetes types where Argo has them.
type workflow struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Schedules         []string                `json:"schedules"`
		ConcurrencyPolicy batch.ConcurrencyPolicy `json:"concurrencyPolicy"`
		WorkflowSpec      struct {
			Entrypoint      string                   `json:"entrypoint"`
			Parallelism     *int64                   `json:"parallelism"`
			SecurityContext *core.PodSecurityContext `json:"securityContext"`
			Volumes         []core.Volume            `json:"volumes"`
			Templates       []struct {
				Name          string     `json:"name"`
				Inputs        parameters `json:"inputs"`
				RetryStrategy *struct {
					Limit      string `json:"limit"`
					Expression string `json:"expression"`
				} `json:"retryStrategy"`
				Container *core.Container `json:"container"`
				Steps     [][]struct {
					Name         string     `json:"name"`
					Template     string     `json:"template"`
					Arguments    parameters `json:"arguments"`
					WithSequence *struct {
						Start string `json:"start"`
						Count string `json:"count"`
					} `json:"withSequence"`
				} `json:"steps"`
			} `json:"templates"`
		} `json:"workflowSpec"`
	} `json:"spec"`
}

type parameters struct {
	Parameters []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"parameters"`
}

func TestArgoWorkflowTestsEveryPart(t *testing.T) {
	var w workflow
	read(t, filepath.Join("..", "argo", "workflow.yaml"), &w)
	assert.Equal(t, "argoproj.io/v1alpha1 CronWorkflow", w.APIVersion+" "+w.Kind)
	spec := w.Spec.WorkflowSpec
	require.Len(t, spec.Templates, 2)
	all, part := spec.Templates[0], spec.Templates[1]
	assert.Equal(t, spec.Entrypoint, all.Name)
	step := all.Steps[0][0]
	assert.Equal(t, part.Name, step.Template)
	assert.Equal(t, part.Inputs.Parameters[0].Name, step.Arguments.Parameters[0].Name)
	assert.Equal(t, "1", step.WithSequence.Start, "parts count from one")
	assert.Contains(t, part.Container.Args, "--split={{inputs.parameters.index}}/"+step.WithSequence.Count)
	assert.Contains(t, part.Container.Args, "--out=/results/{{workflow.name}}")
	assert.Contains(t, part.Container.Args, "--resume")
	assert.True(t, *spec.SecurityContext.RunAsNonRoot)
	locked(t, *part.Container)
	mounted(t, *part.Container, spec.Volumes)
}

// locked expects that a container has no privileges.
func locked(t *testing.T, c core.Container) {
	t.Helper()
	assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, c.Name)
	assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation, c.Name)
	assert.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, c.Name)
	assert.False(t, c.Resources.Limits.Memory().IsZero(), c.Name)
}

// mounted expects that a container mounts only volumes of its pod.
func mounted(t *testing.T, c core.Container, volumes []core.Volume) {
	t.Helper()
	names := map[string]bool{}
	for _, v := range volumes {
		names[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		assert.True(t, names[m.Name], "%s: %s", c.Name, m.Name)
	}
}
