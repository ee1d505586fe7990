{{/* Every image reference of the chart: [registry/]repository:tag[@digest]. Arguments: context, image.
     imageRegistry takes the place of the repository's own registry, which is its first part if that has a dot or a port. */}}
{{- define "lanyard.image" -}}
{{- $repository := .image.repository -}}
{{- with .context.Values.imageRegistry -}}
{{- $parts := splitList "/" $repository -}}
{{- if and (gt (len $parts) 1) (or (regexMatch "[.:]" (first $parts)) (eq (first $parts) "localhost")) -}}
{{- $parts = rest $parts -}}
{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (join "/" $parts) -}}
{{- end -}}
{{- $repository }}:{{ .image.tag | default .context.Chart.AppVersion }}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* The Secrets for pulling the agents' image: those for all images and those for agents. */}}
{{- define "lanyard.agent.pullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.imagePullSecrets .Values.agent.imagePullSecrets -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $names | uniq | join "," -}}
{{- end -}}
