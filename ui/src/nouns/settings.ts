import { get, patch } from '../api.ts'

export type AgentMode = 'ask_everything' | 'read_freely' | 'unattended'
export interface Settings {
  idle_timeout_s: number
  max_leases: number
  allow_loopback: boolean
  allow_loopback_editable: boolean
  agent_mode: AgentMode
  /** Limits of one turn. */
  turn_max_commands: number
  turn_max_tokens: number
  turn_max_cost_usd: number
  turn_max_s: number
  /** How many commands of a turn may run unasked in the mode `unattended`. */
  unattended_commands: number
}
type Change = Partial<Omit<Settings, 'allow_loopback_editable'>>

export const readSettings = async () => (await get<{ settings: Settings }>('/account/settings')).settings
export const changeSettings = async (change: Change) =>
  (await patch<{ settings: Settings }>('/account/settings', change)).settings
