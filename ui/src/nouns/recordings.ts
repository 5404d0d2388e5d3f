import { get, patch, post, pull, remove } from '../api.ts'

export type RecordingState = 'recording' | 'done' | 'cut' | 'broken'
export interface Recording {
  id: string
  connection_id: string
  session_id: string
  terminal_id: string
  title: string
  why: 'asked' | 'policy'
  state: RecordingState
  end_reason: string | null
  cols: number
  rows: number
  duration_ms: number | null
  size_bytes: number | null
  started_at: string
  ended_at: string | null
  cast_path: string
}
export interface RecordingPage {
  recordings: Recording[]
  total: number
  used_bytes: number
  allowed_bytes: number
}
export type Choice = 'never' | 'ask' | 'always'
export interface Policy {
  default: Choice
  connections: { connection_id: string; record: Choice }[]
}
type One = { recording: Recording }

export const listRecordings = (query: Record<string, string>) =>
  get<RecordingPage>(`/recordings?${new URLSearchParams(query)}`)
export const readRecording = async (id: string) => (await get<One>(`/recordings/${id}`)).recording
export const startRecording = async (session: string, terminal: string) =>
  (await post<One>(`/sessions/${session}/terminals/${terminal}/recording`)).recording
export const stopRecording = async (id: string) => (await post<One>(`/recordings/${id}/stop`)).recording
export const renameRecording = async (id: string, title: string) =>
  (await patch<One>(`/recordings/${id}`, { title })).recording
export const deleteRecording = async (id: string) => (await remove<One>(`/recordings/${id}`)).recording
export const pullCast = (id: string, onpiece: (text: string) => void, signal: AbortSignal) =>
  pull(`/recordings/${id}/cast`, onpiece, signal)
export const exportPath = (recording: Recording) => `${recording.cast_path}?export=true`

export const readPolicy = async () => (await get<{ policy: Policy }>('/recording-policy')).policy
export const choosePolicy = async (record: Choice | 'default', connection?: string) =>
  (await patch<{ policy: Policy }>('/recording-policy', { record, ...(connection ? { connection_id: connection } : {}) })).policy
