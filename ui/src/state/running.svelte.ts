import { listConnections } from '../nouns/connections.ts'
import { listConversations, type Conversation } from '../nouns/conversations.ts'
import { Resource } from './resource.svelte.ts'

export interface Running {
  conversation: Conversation
  label: string
  sessionId: string | null
}

/** Conversations in which an agent is at work now, over all open sessions. For `$effect`: `follow`. */
export function runningAgents(): Resource<Running[]> & { watch: () => () => void } {
  const resource = new Resource(async () => {
    const open = (await listConnections()).filter((c) => c.active_session_id)
    const lists = await Promise.all(open.map((c) => listConversations(c.id)))
    return open.flatMap((c, i) =>
      lists[i]!.filter((one) => one.running_turn_id).map((conversation) => ({ conversation, label: c.label, sessionId: c.active_session_id })),
    )
  })
  return Object.assign(resource, { watch: () => resource.follow('turn.', 'session.', 'conversation.', 'agents.') })
}
