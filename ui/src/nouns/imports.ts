import { post } from '../api.ts'
import type { Connection, HostKey } from './connections.ts'
import type { HostAuthority } from './host-authorities.ts'

export interface Pasted {
  config: string
  known_hosts: string
  default_username: string
}
export interface ImportRow {
  name: string
  label: string
  host: string
  port: number
  username: string
  jump: string | null
  host_key: HostKey | null
  same_as: string | null
  same_as_label: string | null
  implied: boolean
  notes: string[]
  problem: string | null
}
export interface ImportMark {
  kind: 'authority' | 'revoked'
  label: string
  patterns: string
  key_type: string
  fingerprint: string
  there: boolean
}
export interface ImportPreview {
  rows: ImportRow[]
  host_authorities: ImportMark[]
  notes: string[]
}
export interface Imported {
  connections: Connection[]
  host_authorities: HostAuthority[]
}

export const previewImport = (pasted: Pasted) => post<ImportPreview>('/connections/import/preview', pasted)
export const runImport = (pasted: Pasted, rows: string[], marks: string[]) =>
  post<Imported>('/connections/import', { ...pasted, rows: rows.map((name) => ({ name })), host_authorities: marks })
