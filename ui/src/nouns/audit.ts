import { get } from '../api.ts'

export interface AuditEntry {
  id: string
  actor: string
  action: string
  target_type: string | null
  target_id: string | null
  ip_address: string | null
  result: 'ok' | 'failed'
  detail: Record<string, unknown>
  created_at: string
}
export interface AuditPage {
  entries: AuditEntry[]
  next_before: string | null
}

export function readAudit(action: string, before: string | null): Promise<AuditPage> {
  const query = new URLSearchParams({ limit: '50' })
  if (action) query.set('action', action)
  if (before) query.set('before', before)
  return get<AuditPage>(`/audit?${query}`)
}
