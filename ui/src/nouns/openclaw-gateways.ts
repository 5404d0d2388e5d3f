import { get, patch, post, remove } from '../api.ts'

export interface Gateway {
  id: string
  label: string
  url: string
  way: 'direct' | 'forward'
  connection_id: string | null
  auth: 'none' | 'token' | 'password'
  may_execute: boolean
  why_not_execute: string | null
  state: 'untested' | 'pairing' | 'ready' | 'refused' | 'unreachable'
  /** What somebody runs on the gateway's machine to let this box in. */
  pairing: { request_id: string | null; command: string | null } | null
  problem: string | null
  version: string | null
  device_id: string
  checked_at: string | null
  created_at: string
}
export interface GatewayTest {
  openclaw_gateway: Gateway
  result: Gateway['state']
  message: string
  latency_ms: number | null
}
export type GatewayInput = Pick<Gateway, 'label' | 'url' | 'way' | 'connection_id'> & { token?: string; password?: string }
export type GatewayChange = Partial<Pick<GatewayInput, 'label' | 'url' | 'token' | 'password'>>
type One = { openclaw_gateway: Gateway }

export const listGateways = async () => (await get<{ openclaw_gateways: Gateway[] }>('/openclaw-gateways')).openclaw_gateways
export const addGateway = async (input: GatewayInput) => (await post<One>('/openclaw-gateways', input)).openclaw_gateway
export const editGateway = async (id: string, change: GatewayChange) => (await patch<One>(`/openclaw-gateways/${id}`, change)).openclaw_gateway
export const removeGateway = (id: string) => remove<One>(`/openclaw-gateways/${id}`)
export const testGateway = (id: string) => post<GatewayTest>(`/openclaw-gateways/${id}/test`)
