// The peer of iam_decision.py. First line: its cases. Then "verdicts", or how many times to answer them all.
// Its policies are validated beforehand, as the package lets its users do; it takes CPU time as the Python side does.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(`${process.argv[2]}/package.json`)
const { runSimulation } = require('@cloud-copilot/iam-simulate')
const policies = createRequire(require.resolve('@cloud-copilot/iam-simulate'))('@cloud-copilot/iam-policy')
const validated = (policy, check) => policies.createValidatedPolicy(policy, policies[check])
const tell = (found) => process.stdout.write(JSON.stringify(found) + '\n')

let cases = null
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line)
  if (cases === null) {
    cases = asked.map((one) => ({
      ...one,
      identityPolicies: one.identityPolicies.map(({ name, policy }) => ({
        name,
        policy: validated(policy, 'validateIdentityPolicy'),
      })),
      permissionBoundaryPolicies: one.permissionBoundaryPolicies?.map(({ name, policy }) => ({
        name,
        policy: validated(policy, 'validateIdentityPolicy'),
      })),
      sessionPolicy: one.sessionPolicy && validated(one.sessionPolicy, 'validateIdentityPolicy'),
      resourcePolicy: one.resourcePolicy && validated(one.resourcePolicy, 'validateResourcePolicy'),
    }))
    tell(cases.length)
  } else if (asked === 'verdicts') {
    const found = []
    for (const one of cases) found.push((await runSimulation(one, {})).overallResult ?? 'error')
    tell(found)
  } else {
    const began = process.cpuUsage()
    for (let pass = 0; pass < asked; pass++) for (const one of cases) await runSimulation(one, {})
    const used = process.cpuUsage(began)
    tell((used.user + used.system) / (asked * cases.length))
  }
}
