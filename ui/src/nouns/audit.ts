import { get, pull } from '../api.ts'

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

/** The whole trail as a file. A spreadsheet finds no formula in it. */
export async function exportAudit(format: 'csv' | 'json'): Promise<Blob> {
  const pieces: string[] = []
  await pull(`/audit/export?format=${format}`, (text) => pieces.push(text), new AbortController().signal)
  return new Blob(pieces, { type: format === 'csv' ? 'text/csv' : 'application/x-ndjson' })
}
