import { get, patch } from '../api.ts'

export interface Settings {
  idle_timeout_s: number
  max_leases: number
  allow_loopback: boolean
  allow_loopback_editable: boolean
}
type Change = Partial<Omit<Settings, 'allow_loopback_editable'>>

export const readSettings = async () => (await get<{ settings: Settings }>('/account/settings')).settings
export const changeSettings = async (change: Change) =>
  (await patch<{ settings: Settings }>('/account/settings', change)).settings
