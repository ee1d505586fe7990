{{/* lanyard, or RELEASE-lanyard where the release's name does not already say so. */}}
{{- define "lanyard.fullname" -}}
{{- if contains "lanyard" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-lanyard" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lanyard.operator.name" -}}{{ include "lanyard.fullname" . }}-operator{{- end -}}
{{- define "lanyard.emulator.name" -}}{{ include "lanyard.fullname" . }}-emulator{{- end -}}

{{/* The name devices dial: hub and DPS at once. */}}
{{- define "lanyard.emulator.host" -}}{{ include "lanyard.emulator.name" . }}.{{ .Release.Namespace }}.svc{{- end -}}

{{- define "lanyard.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "lanyard.operator.name" .) -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Arguments: context, component. */}}
{{- define "lanyard.selectorLabels" -}}
app.kubernetes.io/name: lanyard
app.kubernetes.io/instance: {{ .context.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "lanyard.labels" -}}
{{ include "lanyard.selectorLabels" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ .context.Chart.Name }}-{{ .context.Chart.Version }}
{{- end -}}

{{/* Arguments: context, image. */}}
{{- define "lanyard.image" -}}
{{ .image.repository }}:{{ .image.tag | default .context.Chart.AppVersion }}
{{- end -}}

{{/* What the Pod Security Standard "restricted" asks for, and a read-only root besides. */}}
{{- define "lanyard.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "lanyard.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
