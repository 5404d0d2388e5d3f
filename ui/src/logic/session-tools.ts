import type { IconName } from '../parts/icons.ts'

/** What a session can do beside its conversation and its terminals. Each has a page at `/sessions/{id}/{path}`. */
export interface SessionTool {
  path: string
  name: string
  lead: string
  icon: IconName
}

export const sessionTools: readonly SessionTool[] = [
  { path: 'files', name: 'Files', lead: 'Browse, upload, download and edit what lies on the server.', icon: 'folder' },
  { path: 'recordings', name: 'Recordings', lead: 'What terminals of this server showed', icon: 'film' },
  { path: 'stats', name: 'Server', lead: 'Processor, memory, disks, load, and what it is', icon: 'pulse' },
  { path: 'ports', name: 'Ports', lead: 'Open a web app of the server, or reach one of its ports from the box', icon: 'port' },
]
