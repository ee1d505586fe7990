{{/* lanyard, or RELEASE-lanyard where the release's name does not already say so. */}}
{{- define "lanyard.fullname" -}}
{{- $name := default "lanyard" .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lanyard.namespace" -}}{{ .Values.namespaceOverride | default .Release.Namespace }}{{- end -}}
{{- define "lanyard.operator.name" -}}{{ include "lanyard.fullname" . }}-operator{{- end -}}
{{- define "lanyard.emulator.name" -}}{{ include "lanyard.fullname" . }}-emulator{{- end -}}

{{/* The name devices dial: hub and DPS at once. */}}
{{- define "lanyard.emulator.host" -}}{{ include "lanyard.emulator.name" . }}.{{ include "lanyard.namespace" . }}.svc{{- end -}}

{{- define "lanyard.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "lanyard.operator.name" .) -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Fails unless the values say where the operator works. */}}
{{- define "lanyard.scope" -}}
{{- if and .Values.operator.watchNamespaces .Values.operator.everywhere -}}
{{- fail "operator.watchNamespaces and operator.everywhere are both set: set one of them" -}}
{{- else if not (or .Values.operator.watchNamespaces .Values.operator.everywhere) -}}
{{- fail "say where the operator works: --set 'operator.watchNamespaces={plant-a}' for some namespaces, or --set operator.everywhere=true for all of them, whose Secrets it can then read" -}}
{{- end -}}
{{- end -}}

{{/* Arguments: context, component. */}}
{{- define "lanyard.selectorLabels" -}}
app.kubernetes.io/name: {{ .context.Values.nameOverride | default "lanyard" }}
app.kubernetes.io/instance: {{ .context.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Arguments: context, component; extra labels that give way to the chart's own. */}}
{{- define "lanyard.labels" -}}
{{- $own := include "lanyard.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .context.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .context.Release.Service -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "lanyard" -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .context.Chart.Name (.context.Chart.Version | replace "+" "_")) -}}
{{- mergeOverwrite (dict) (deepCopy .context.Values.commonLabels) (deepCopy (.extra | default dict)) $own | toYaml -}}
{{- end -}}

{{/* Whether the API server is OpenShift's, whose SCC choose users by themselves. */}}
{{- define "lanyard.openshift" -}}
{{- $said := .Values.openshift | toString -}}
{{- if or (eq $said "true") (and (eq $said "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}true{{- end -}}
{{- end -}}

{{/* Arguments: context, securityContext. */}}
{{- define "lanyard.securityContext" -}}
{{- $given := deepCopy .securityContext -}}
{{- if include "lanyard.openshift" .context -}}
{{- $given = omit $given "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $given -}}
{{- end -}}

{{/* Arguments: context, constraints, component. The selector is the component's own pods where it is left out. */}}
{{- define "lanyard.topologySpreadConstraints" -}}
{{- $selector := dict "matchLabels" (include "lanyard.selectorLabels" . | fromYaml) -}}
{{- $filled := list -}}
{{- range .constraints -}}
{{- $filled = append $filled (merge (deepCopy .) (dict "labelSelector" $selector)) -}}
{{- end -}}
{{- toYaml $filled -}}
{{- end -}}
