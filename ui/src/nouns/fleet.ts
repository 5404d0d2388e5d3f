import { get, post } from '../api.ts'
import type { Values } from './snippets.ts'

export type AnswerState = 'waiting' | 'running' | 'done' | 'failed' | 'lost' | 'cancelled' | 'refused'
export interface FleetRun {
  id: string
  title: string | null
  command: string
  timeout_s: number
  state: 'running' | 'done' | 'cancelled' | 'interrupted'
  counts: Partial<Record<AnswerState, number>>
  created_at: string
  ended_at: string | null
}
export interface Answer {
  id: string
  connection_id: string
  label: string
  session_id: string | null
  state: AnswerState
  exit_status: number | null
  stdout: string
  stderr: string
  encoding: 'utf-8' | 'base64'
  truncated: boolean
  shortened: boolean
  digest: string | null
  duration_ms: number | null
  message: string | null
  next_step: string | null
}
export interface RunWithAnswers {
  fleet_run: FleetRun
  answers: Answer[]
}
export type What = { command: string } | { snippet_id: string; values: Values }

export const startRun = (what: What, connectionIds: string[]) =>
  post<RunWithAnswers>('/fleet-runs', { ...what, connection_ids: connectionIds })
export const listRuns = async () => (await get<{ fleet_runs: FleetRun[] }>('/fleet-runs?limit=20')).fleet_runs
export const readRun = (id: string) => get<RunWithAnswers>(`/fleet-runs/${id}`)
export const readAnswer = async (id: string, answerId: string) =>
  (await get<{ answer: Answer }>(`/fleet-runs/${id}/answers/${answerId}`)).answer
export const cancelRun = (id: string) => post<RunWithAnswers>(`/fleet-runs/${id}/cancel`)
