import { get, post } from '../api.ts'

export type Level = 'ok' | 'warn' | 'bad'
export interface Sample {
  at: string
  cpu: { percent: number; level: Level } | null
  memory: { total: number; available: number; swap_total: number; swap_used: number; percent: number; level: Level } | null
  load: { one: number; five: number; fifteen: number; level: Level } | null
  disks: { mount: string; size: number; used: number; percent: number; level: Level }[]
  temperatures: { label: string; celsius: number; level: Level }[]
  uptime_s: number | null
}
export interface Facts {
  at: string
  system: string | null
  os: string | null
  kernel: string | null
  hostname: string | null
  machine: string | null
  cores: number | null
  cpu_model: string | null
  memory_total: number | null
  addresses: string[]
  users: string[]
  pending_reboot: boolean | null
  uptime_s: number | null
}
export interface ShellStart {
  median_ms: number | null
  samples_ms: number[]
  shell: string | null
  level: Level
  advice: string
}

export const readFacts = async (session: string) => (await get<{ facts: Facts }>(`/sessions/${session}/facts`)).facts
export const readStats = (session: string) => get<{ latest: Sample; history: Sample[] }>(`/sessions/${session}/stats`)
export const measureShell = async (session: string) =>
  (await post<{ shell_start: ShellStart }>(`/sessions/${session}/shell-start`)).shell_start
export const statsPath = (session: string) => `/api/v1/sessions/${session}/stats/live`
