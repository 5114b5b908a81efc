{{/* The release's name before every object's. */}}
{{- define "touchstone.name" -}}
{{- if contains "touchstone" .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-touchstone" .Release.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "touchstone.image" -}}
{{- if .Values.image.digest -}}{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else -}}{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}{{- end -}}
{{- end -}}

{{/* What pods are found by; call with (dict "root" $ "component" "proxy"). */}}
{{- define "touchstone.selector" -}}
app.kubernetes.io/name: touchstone
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "touchstone.labels" -}}
{{ include "touchstone.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "touchstone.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Of a container: what it is run as, where its files are. Call with the root context. */}}
{{- define "touchstone.container" -}}
image: {{ include "touchstone.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - name: PGSERVICEFILE
    value: /run/secrets/touchstone/pg_service.conf
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: config
    mountPath: /etc/touchstone
    readOnly: true
  - name: secrets
    mountPath: /run/secrets/touchstone
    readOnly: true
  - name: data
    mountPath: /var/lib/touchstone
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{/* Call with (dict "path" "/healthz" "port" "admin" "starts" 60). */}}
{{- define "touchstone.probes" -}}
startupProbe:
  httpGet: &at
    path: {{ .path }}
    port: {{ .port }}
  periodSeconds: 2
  failureThreshold: {{ .starts }}
  timeoutSeconds: 2
readinessProbe:
  httpGet: *at
  periodSeconds: 5
  failureThreshold: 2
  timeoutSeconds: 2
livenessProbe:
  httpGet: *at
  periodSeconds: 10
  failureThreshold: 6
  timeoutSeconds: 2
{{- end -}}

{{/* Of a pod, beside its containers: call with the root context. */}}
{{- define "touchstone.pod" -}}
automountServiceAccountToken: false
# Kubernetes would set TOUCHSTONE_..._PORT for every service of the namespace, and TOUCHSTONE_ROUTER_... is ours.
enableServiceLinks: false
securityContext:
  {{- include "touchstone.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
