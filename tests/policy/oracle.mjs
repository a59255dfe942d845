// Reads one simulation a line, answers one verdict a line. The folder given as argument holds node_modules.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(`${process.argv[2]}/package.json`)
const { runSimulation } = require('@cloud-copilot/iam-simulate')

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await runSimulation(JSON.parse(line), {})
  const verdict = answer.resultType === 'error' ? { error: answer.errors } : { verdict: answer.overallResult }
  process.stdout.write(JSON.stringify(verdict) + '\n')
}
