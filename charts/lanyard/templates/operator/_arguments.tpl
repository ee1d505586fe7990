{{/* The command line of `lanyard-operator run`. */}}
{{- define "lanyard.operator.arguments" -}}
{{- $agent := .Values.agent -}}
- run
- --agent-image={{ include "lanyard.image" (dict "context" . "image" $agent.image) }}
- --agent-image-pull-policy={{ $agent.image.pullPolicy }}
{{- range splitList "," (include "lanyard.agent.pullSecrets" .) | compact }}
- --agent-image-pull-secret={{ . }}
{{- end }}
{{- $defaults := dict -}}
{{- range $value, $field := dict "resources" "resources" "nodeSelector" "nodeSelector" "tolerations" "tolerations" "priorityClassName" "priorityClassName" "podLabels" "labels" "podAnnotations" "annotations" "extraEnv" "env" "logLevel" "logLevel" "logFormat" "logFormat" -}}
{{- with index $agent $value }}{{- $_ := set $defaults $field . }}{{- end -}}
{{- end }}
{{- with $defaults }}
- {{ printf "--agent-defaults=%s" (toJson .) | quote }}
{{- end }}
{{- range $name, $value := .Values.commonLabels }}
- {{ printf "--common-label=%s=%s" $name $value | quote }}
{{- end }}
{{- if include "lanyard.monitoring.podMonitor" . }}
- --agent-scrape-annotations=false
{{- end }}
- --openshift={{ .Values.openshift }}
- "--http=[::]:{{ .Values.operator.http.port }}"
- --log-format={{ .Values.operator.logFormat }}
- --log-level={{ .Values.operator.logLevel }}
- --lease-name={{ include "lanyard.operator.name" . }}
{{- with .Values.operator.leaderElection }}
- --lease-duration={{ .leaseDuration }}
- --renew-deadline={{ .renewDeadline }}
- --retry-period={{ .retryPeriod }}
{{- end }}
{{- range .Values.operator.dpsEndpoints }}
- --dps-endpoint={{ . }}
{{- end }}
{{- if .Values.emulator.enabled }}
- --dps-endpoint={{ include "lanyard.emulator.host" . }}
{{- end }}
{{- if .Values.operator.requireSecretUse }}
- --require-secret-use
{{- end }}
{{- range .Values.operator.watchNamespaces }}
- --namespace={{ . }}
{{- end }}
{{- range .Values.operator.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
