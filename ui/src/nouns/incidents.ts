import { get, post } from '../api.ts'

/** What somebody should look at: logins that failed too often, a server with another host key. */
export interface Incident {
  id: string
  kind: 'failed_logins' | 'host_key_changed'
  /** An address, or the id of a connection. */
  subject: string
  detail: Record<string, unknown>
  times: number
  first_at: string
  last_at: string
  seen_at: string | null
}

export const openIncidents = async () => (await get<{ incidents: Incident[] }>('/incidents?only_open=true')).incidents
export const seeIncident = async (id: string) => (await post<{ incident: Incident }>(`/incidents/${id}/seen`)).incident
