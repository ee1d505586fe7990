{{/* "true" where policies are wanted and the API server has them. */}}
{{- define "lanyard.policies.enabled" -}}
{{- if and .Values.policies.enabled (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) -}}true{{- end -}}
{{- end -}}

{{/* Policies belong to no namespace, and two releases may have the same name. Arguments: context, policy. */}}
{{- define "lanyard.policies.name" -}}
{{ include "lanyard.fullname" .context }}-{{ .policy }}.{{ include "lanyard.namespace" .context }}
{{- end -}}

{{- define "lanyard.policies.account" -}}
system:serviceaccount:{{ include "lanyard.namespace" . }}:{{ include "lanyard.serviceAccountName" . }}
{{- end -}}

{{/* The beginning of a policy and its whole binding. Arguments: context, policy, everywhere (also outside watchNamespaces). */}}
{{- define "lanyard.policies.head" -}}
{{- $name := include "lanyard.policies.name" . -}}
{{- $labels := include "lanyard.labels" (dict "context" .context "component" "policies") -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels: {{- $labels | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: [Deny]
  {{- if and .context.Values.operator.watchNamespaces (not .everywhere) }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson .context.Values.operator.watchNamespaces }}}
  {{- end }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels: {{- $labels | nindent 4 }}
{{- end -}}
