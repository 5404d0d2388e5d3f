import type { Tone } from './standing.ts'
import type { Channel, ChannelKind, Delivery, NotifyKind } from '../nouns/notifications.ts'

/** In the order in which they matter. */
export const kinds: readonly [NotifyKind, string, string][] = [
  ['approval_waiting', 'Approval waiting', 'An agent wants to run or change something.'],
  ['agent_needs_answer', 'Agent needs an answer', 'It asks you a question.'],
  ['turn_finished', 'Turn finished', 'An agent is done, or failed, while you look elsewhere.'],
  ['session_lost', 'Session lost', 'A session ended by itself.'],
  ['host_key_event', 'Host key', 'A server shows an unknown or another key.'],
  ['incident', 'Incidents', 'Somebody tries to get in.'],
  ['key_event', 'Key made or revoked', 'One of your keypairs.'],
]
export const allKinds = kinds.map(([kind]) => kind)

export const channelNames: Record<ChannelKind, string> = { webpush: 'Browser', ntfy: 'ntfy', email: 'E-mail', webhook: 'Webhook' }

const names: Record<string, string> = { ...Object.fromEntries(kinds.map(([kind, name]) => [kind, name])), test: 'Test' }

export function told(channel: Channel): string {
  if (!channel.kinds.length) return 'Tells you nothing'
  if (channel.kinds.length === kinds.length) return 'Tells you everything'
  return kinds.filter(([kind]) => channel.kinds.includes(kind)).map(([, name]) => name).join(', ')
}

export function health(channel: Channel): { tone: Tone; words: string } {
  if (!channel.enabled) return { tone: 'idle', words: 'Off' }
  if (channel.failing_since) return { tone: 'bad', words: 'Not arriving' }
  return channel.last_ok_at ? { tone: 'ok', words: 'Works' } : { tone: 'idle', words: 'Not tried yet' }
}

export const what = (delivery: Delivery): string =>
  delivery.events > 1 ? `${delivery.events} events in one` : (names[delivery.kind] ?? delivery.kind)

const states: Record<Delivery['state'], { tone: Tone; words: string }> = {
  pending: { tone: 'warn', words: 'Waiting' },
  sent: { tone: 'ok', words: 'Sent' },
  failed: { tone: 'bad', words: 'Refused' },
  gave_up: { tone: 'idle', words: 'Not sent' },
}
export const outcome = (delivery: Delivery) => states[delivery.state]

export type Push = 'insecure' | 'home-screen' | 'unsupported' | 'denied' | 'able'
export interface Device {
  secure: boolean
  push: boolean
  permission: NotificationPermission | null
  ios: boolean
  standalone: boolean
}

/** Whether a browser can be told, and if not, what is in the way. */
export function pushStanding(device: Device): Push {
  if (!device.secure) return 'insecure'
  if (device.push) return device.permission === 'denied' ? 'denied' : 'able'
  return device.ios && !device.standalone ? 'home-screen' : 'unsupported'
}

/** base64url, as a key for `pushManager.subscribe`. */
export function keyBytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(plain, (char) => char.charCodeAt(0))
}
