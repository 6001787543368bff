{{- define "bilgepump.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "bilgepump.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "bilgepump.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "bilgepump.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "bilgepump.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bilgepump.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bilgepump.labels" -}}
{{ include "bilgepump.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "bilgepump.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "bilgepump.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "`serviceAccount.name` is required where `serviceAccount.create` is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "bilgepump.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The annotations of an object, `(list . its-own)`: its own, then those of every object. */}}
{{- define "bilgepump.annotations" -}}
{{- $context := index . 0 }}
{{- with merge (dict) (index . 1) $context.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
