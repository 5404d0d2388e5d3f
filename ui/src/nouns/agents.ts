import { post } from '../api.ts'

export interface Stopped {
  turns: number
  approvals: number
  grants: number
}
type Answer = { stopped: Stopped }

export const stopAgentsOf = async (sessionId: string) => (await post<Answer>(`/sessions/${sessionId}/stop-agents`)).stopped
export const stopAllAgents = async () => (await post<Answer>('/agents/stop')).stopped
