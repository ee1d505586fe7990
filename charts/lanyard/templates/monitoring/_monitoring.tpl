{{/* "true" where objects of a kind of the Prometheus operator are rendered. Arguments: context, kind. */}}
{{- define "lanyard.monitoring.renders" -}}
{{- $mode := .context.Values.monitoring.renderMode -}}
{{- $served := .context.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) -}}
{{- if or $served (eq $mode "alwaysRender") -}}true
{{- else if eq $mode "failIfMissing" -}}
{{- fail (printf "the cluster does not know the kind %s of monitoring.coreos.com/v1: install the Prometheus operator, or set monitoring.renderMode to skipIfMissing" .kind) -}}
{{- end -}}
{{- end -}}

{{/* "true" where a PodMonitor finds the agents. */}}
{{- define "lanyard.monitoring.podMonitor" -}}
{{- if and .Values.monitoring.enabled .Values.monitoring.podMonitor.enabled -}}
{{- include "lanyard.monitoring.renders" (dict "context" . "kind" "PodMonitor") -}}
{{- end -}}
{{- end -}}

{{/* "true" where a ServiceMonitor finds the operator. */}}
{{- define "lanyard.monitoring.serviceMonitor" -}}
{{- if and .Values.monitoring.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- include "lanyard.monitoring.renders" (dict "context" . "kind" "ServiceMonitor") -}}
{{- end -}}
{{- end -}}

{{/* Name, namespace, labels and annotations of an object. Arguments: context, name, component, own (its part of the values). */}}
{{- define "lanyard.monitoring.metadata" -}}
{{- $monitoring := .context.Values.monitoring -}}
name: {{ .name }}
namespace: {{ .own.namespace | default (include "lanyard.namespace" .context) }}
{{- $labels := include "lanyard.labels" (dict "context" .context "component" .component) | fromYaml }}
labels: {{- merge (dict) .own.labels $monitoring.labels $labels | toYaml | nindent 2 }}
{{- with merge (dict) .own.annotations $monitoring.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* How often and how long a target is scraped: its part of the values. */}}
{{- define "lanyard.monitoring.pace" -}}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- end -}}
