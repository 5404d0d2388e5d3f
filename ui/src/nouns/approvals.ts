import { get, post, remove } from '../api.ts'

export type ApprovalState = 'pending' | 'allowed' | 'denied' | 'expired' | 'void'
export type CommandClass = 'read' | 'change' | 'destructive' | 'privileged' | 'lock_out'
export interface ApprovalOption {
  id: string
  label: string
  kind: string
}
export interface Approval {
  id: string
  kind: 'command' | 'file' | 'question'
  state: ApprovalState
  title: string
  /** What would run; of a `file` the text it would get, null where it is only read. */
  command: string | null
  /** Where it would run; of a `file` its path. */
  directory: string
  username: string
  connection_id: string
  connection_label: string
  conversation_id: string
  turn_id: string
  session_id: string
  runtime: string
  class: string
  why: string[]
  cannot_be_undone: string | null
  /** In the agent's own words, as is `detail`: shown as such, and never as a fact. */
  reason: string
  detail: string
  options: ApprovalOption[]
  option_id: string | null
  may_grant: boolean
  /** What the server puts back by itself unless somebody confirms that they are still in. */
  revert: { what: string } | null
  created_at: string
  expires_at: string
  answered_at: string | null
  /** The name of the device that answered. */
  answered_by: string | null
  used_at: string | null
  void_reason: string | null
}
export interface ApprovalPage {
  approvals: Approval[]
  pending: number
}
export interface Answer {
  decision: 'allow' | 'deny'
  option_id?: string
  grant?: boolean
}
/** One exact command that an agent may run without asking until the session ends. */
export interface Grant {
  id: string
  connection_id: string
  connection_label: string
  session_id: string
  approval_id: string
  command: string
  class: string
  used_count: number
  created_at: string
}
type One = { approval: Approval }

export const listApprovals = (state: 'pending' | 'answered' | 'all', limit = 50, offset = 0) =>
  get<ApprovalPage>(`/approvals?${new URLSearchParams({ state, limit: `${limit}`, offset: `${offset}` })}`)
export const readApproval = async (id: string) => (await get<One>(`/approvals/${id}`)).approval
export const answerApproval = async (id: string, answer: Answer) => (await post<One>(`/approvals/${id}/answer`, answer)).approval
export const listGrants = async () => (await get<{ grants: Grant[] }>('/approval-grants')).grants
export const withdrawGrant = (id: string) => remove<unknown>(`/approval-grants/${id}`)
