import { Live, type LinkState } from '../live.ts'
import { leave } from './box.svelte.ts'

export interface BoxEvent {
  seq: number
  type: string
  subject_type: string
  subject_id: string
  payload: Record<string, unknown>
}
type Listener = { prefixes: string[]; then: (event: BoxEvent | null) => void }

const link = $state<{ state: LinkState }>({ state: 'connecting' })
const listeners = new Set<Listener>()
let live: Live | null = null
let last: number | null = null

export const boxLink = (): LinkState => link.state
export const retryLink = (): void => live?.retry()

export function startEvents(): void {
  live?.close()
  live = new Live({
    path: () => `/api/v1/events/live${last === null ? '' : `?after=${last}`}`,
    looks: true,
    onState: (state) => (link.state = state),
    onEnd: (code) => code === 4401 && leave(),
    onText: (message) => {
      if (message.type === 'ready') {
        // A socket that was away may have missed what no event tells: look at everything once.
        if (last !== null) for (const listener of listeners) listener.then(null)
        else last = Number(message.last_seq)
      }
      if (message.type === 'event') tell(message.event as BoxEvent)
    },
  })
}

export function stopEvents(): void {
  live?.close()
  live = null
  last = null
}

function tell(event: BoxEvent): void {
  last = Math.max(last ?? 0, event.seq)
  for (const listener of listeners) {
    if (listener.prefixes.some((prefix) => event.type.startsWith(prefix))) listener.then(event)
  }
}

/** Calls `then` for events whose type begins so; with null after a reconnect. Answers how to stop. */
export function onEvents(prefixes: string[], then: Listener['then']): () => void {
  const listener = { prefixes, then }
  listeners.add(listener)
  return () => listeners.delete(listener)
}
