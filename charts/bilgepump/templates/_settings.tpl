{{/* All metrics sources as a list, each without the fields that are empty. */}}
{{- define "bilgepump.metricsSources" -}}
{{- $given := .Values.metricsSources }}
{{- if .Values.prometheus.url }}
{{- $given = prepend $given (merge (dict "name" "default") .Values.prometheus) }}
{{- end }}
{{- $sources := list }}
{{- range $given }}
{{- $source := dict "type" "Prometheus" }}
{{- range $field, $value := . }}
{{- if and $value (not (and (eq $field "basicAuth") (not $value.username))) }}
{{- $_ := set $source $field $value }}
{{- end }}
{{- end }}
{{- $sources = append $sources $source }}
{{- end }}
{{- toYaml $sources }}
{{- end }}

{{/* The controller's settings file. */}}
{{- define "bilgepump.settings" -}}
metricsSources:
  {{- include "bilgepump.metricsSources" . | nindent 2 }}
watchNamespaces: {{ toJson .Values.watchNamespaces }}
sweepInterval: {{ .Values.sweepInterval }}
allowShortLookback: {{ .Values.allowShortLookback }}
suspend: {{ .Values.suspend }}
powers:
  capture: {{ .Values.capture.enabled }}
  remediate: {{ .Values.remediate.enabled }}
rollouts:
  enabled: {{ .Values.rollouts.enabled }}
limits:
  {{- toYaml .Values.limits | nindent 2 }}
blockingAlerts:
  {{- toYaml .Values.blockingAlerts | nindent 2 }}
incidents:
  keep: {{ .Values.incidents.keep }}
evidence:
  directory: /var/lib/bilgepump/evidence
  maximumBytes: {{ .Values.evidence.maximumBytes }}
  maximumAge: {{ .Values.evidence.maximumAge }}
  maximumBaselines: {{ .Values.evidence.maximumBaselines }}
  logs: {{- toYaml .Values.capture.logs | nindent 4 }}
  {{- if .Values.evidence.s3.bucket }}
  s3: {{- omit .Values.evidence.s3 "credentialsSecret" | toYaml | nindent 4 }}
  {{- end }}
http:
  port: 8080
  {{- if .Values.reports.enabled }}
  reportPort: 8081
  {{- end }}
{{- with .Values.notifications }}
notifications: {{- toYaml (omit . "secretName") | nindent 2 }}
{{- end }}
{{- if .Values.ecs.roles }}
ecs:
  {{- toYaml .Values.ecs | nindent 2 }}
{{- end }}
lease:
  name: {{ include "bilgepump.fullname" . }}
  durationSeconds: {{ .Values.lease.durationSeconds }}
{{- end }}
