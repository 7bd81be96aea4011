{{- define "registry.selector" -}}
app.kubernetes.io/name: twisted-registry
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "registry.metadata" -}}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "registry.selector" . | nindent 2 }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "registry.secretName" -}}
{{ .Values.certificate.secretName | default (printf "%s-tls" .Release.Name) }}
{{- end -}}

{{- define "registry.serverNames" -}}
{{- $service := printf "%s.%s.svc" .Release.Name .Release.Namespace -}}
{{ .Values.serverNames | default (list $service (printf "%s.cluster.local" $service)) | toJson }}
{{- end -}}

{{- define "registry.image" -}}
{{- $image := .Values.image -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end -}}
