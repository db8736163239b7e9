{{/* Namespace of everything that is not cluster-wide. */}}
{{- define "trigon.namespace" -}}
{{- if .Values.namespace.name -}}
{{ .Values.namespace.name }}
{{- else if eq .Release.Namespace "default" -}}
trigon-system
{{- else -}}
{{ .Release.Namespace }}
{{- end -}}
{{- end -}}

{{- define "trigon.image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest -}} @{{ .Values.image.digest }} {{- else -}} :{{ .Values.image.tag }} {{- end -}}
{{- end -}}

{{/* Flags from a map, in the order of their names. A list gives one flag per item. */}}
{{- define "trigon.flags" -}}
{{- range $name, $value := . }}
{{- range (kindIs "slice" $value | ternary $value (list $value)) }}
- {{ printf "--%s=%s" $name (toString .) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Probes: a process that is slow must not be killed for it. /healthz fails only if there is no progress for a long time. */}}
{{- define "trigon.probes" -}}
# Until /healthz is served: an agent loads its modules, parses the kernel's BTF and loads its sensors, which takes minutes
# on a node without CPU. Policies are attached later, while /healthz is answered.
startupProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 2
  timeoutSeconds: 30
  failureThreshold: 300
# Six minutes without any answer: on a node that is short of CPU, a restart would only make it worse.
livenessProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 30
  failureThreshold: 12
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 2
  timeoutSeconds: 5
{{- end -}}

{{/* An environment variable from a field of the pod. Without apiVersion, which is the default, server-side apply after
     client-side apply is a conflict. */}}
{{- define "trigon.fieldEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: {{ index . 1 }}
{{- end -}}

{{/* Names that a guard lets pass: controllers of Kubernetes that finish deletions and rewrite stored objects. */}}
{{- define "trigon.exemptUsers" -}}
{{- concat (list
  "system:kube-controller-manager"
  "system:serviceaccount:kube-system:generic-garbage-collector"
  "system:serviceaccount:kube-system:storage-version-migrator-controller"
) .exemptUsers | toJson -}}
{{- end -}}

{{/* `node` or `cluster`. */}}
{{- define "trigon.podAccess" -}}
{{- if ne .Values.rbac.podAccess "auto" -}}
{{ .Values.rbac.podAccess }}
{{- else if semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version -}}
node
{{- else -}}
cluster
{{- end -}}
{{- end -}}
