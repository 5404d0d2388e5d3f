import { get, patch, post, remove } from '../api.ts'

export type NotifyKind = 'approval_waiting' | 'agent_needs_answer' | 'turn_finished' | 'session_lost' | 'key_event' | 'host_key_event' | 'incident'
export type ChannelKind = 'webpush' | 'ntfy' | 'email' | 'webhook'
export interface Channel {
  id: string
  kind: ChannelKind
  label: string
  host: string
  kinds: NotifyKind[]
  with_command: boolean
  enabled: boolean
  this_device: boolean
  created_at: string
  updated_at: string
  last_ok_at: string | null
  failing_since: string | null
}
export interface NewChannel {
  label: string
  kinds: NotifyKind[]
  with_command?: boolean
  webpush?: { endpoint: string; p256dh: string; auth: string }
  ntfy?: { server: string; topic: string; token: string | null; local_network: boolean }
  email?: {
    host: string
    port: number
    security: 'tls' | 'starttls' | 'none'
    username: string | null
    password: string | null
    sender: string
    to: string
    local_network: boolean
  }
  webhook?: { url: string; local_network: boolean }
}
export interface Trial {
  ok: boolean
  error: string | null
  message: string | null
}
export interface Delivery {
  id: string
  channel_kind: ChannelKind
  channel_label: string
  kind: NotifyKind | 'test'
  events: number
  state: 'pending' | 'sent' | 'failed' | 'gave_up'
  attempts: number
  next_try_at: string | null
  message: string | null
  created_at: string
}

export const readChannels = async () => (await get<{ channels: Channel[] }>('/notifications/channels')).channels
export const addChannel = (channel: NewChannel) => post<{ channel: Channel; secret: string | null }>('/notifications/channels', channel)
export const changeChannel = async (id: string, change: Partial<Pick<Channel, 'label' | 'kinds' | 'with_command' | 'enabled'>>) =>
  (await patch<{ channel: Channel }>(`/notifications/channels/${id}`, change)).channel
export const removeChannel = (id: string) => remove(`/notifications/channels/${id}`)
export const tryChannel = (id: string) => post<Trial>(`/notifications/channels/${id}/test`)
export const readDeliveries = (before?: string) =>
  get<{ deliveries: Delivery[]; has_more: boolean }>(`/notifications/deliveries?limit=20${before ? `&before=${before}` : ''}`)
export const readVapidKey = async () => (await get<{ public_key: string }>('/notifications/vapid')).public_key
