import type { IconName } from '../parts/icons.ts'

/** What a session can do beside its conversation and its terminals. Each has a page at `/sessions/{id}/{path}`. */
export interface SessionTool {
  path: string
  name: string
  lead: string
  icon: IconName
}

/** In the order of how often a person needs them. */
export const sessionTools: readonly SessionTool[] = [
  { path: 'files', name: 'Files', lead: 'Browse, upload, download and edit', icon: 'folder' },
  { path: 'ports', name: 'Ports', lead: 'Open a web app that runs there', icon: 'port' },
  { path: 'stats', name: 'Server', lead: 'Processor, memory, disks and load', icon: 'pulse' },
  { path: 'recordings', name: 'Recordings', lead: 'Play what its terminals showed', icon: 'film' },
]
