import type { IconName } from '../parts/icons.ts'

/** What is set up for agents on a page of its own, and which Settings lead to. */
export interface SettingsLink {
  path: string
  name: string
  lead: string
  icon: IconName
}

/** In the order in which a person meets them. */
export const agentLinks: readonly SettingsLink[] = [
  { path: '/approvals', name: 'Approvals', lead: 'What waits for you, and what you answered', icon: 'hand' },
  { path: '/settings/models', name: 'Models', lead: 'Ollama, OpenAI, Anthropic and their like', icon: 'chat' },
  { path: '/settings/gateways', name: 'OpenClaw', lead: 'Your own gateway, beside the box or elsewhere', icon: 'chat' },
]

/** How the box tells a person who does not look. */
export const reachLinks: readonly SettingsLink[] = [
  { path: '/settings/notifications', name: 'When something waits for you', lead: 'On this device, by ntfy, e-mail or webhook', icon: 'bell' },
]
