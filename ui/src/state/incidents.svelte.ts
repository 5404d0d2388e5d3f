import { openIncidents } from '../nouns/incidents.ts'
import { Resource } from './resource.svelte.ts'

/** What nobody has looked at yet: the banner counts it, the audit page tells it. */
export const incidents = new Resource(openIncidents)
