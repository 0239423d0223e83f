// @ts-check
// The documents of the API, by the types that are made from its description: a field that is changed there fails the check of types here.

/**
 * @typedef {import("openapi").components["schemas"]} Schemas
 * @typedef {Schemas["Costs"]} Costs
 * @typedef {Schemas["CostGroup"]} CostGroup
 * @typedef {Schemas["Budget"]} Budget
 * @typedef {Schemas["BudgetList"]} BudgetList
 * @typedef {Schemas["Webhook"]} Webhook
 * @typedef {Schemas["WebhookList"]} WebhookList
 * @typedef {Schemas["WebhookTest"]} WebhookTest
 * @typedef {Schemas["Token"]} Token
 * @typedef {Schemas["TokenList"]} TokenList
 * @typedef {Schemas["Readiness"]} Readiness
 * @typedef {Schemas["Point"]} Point
 * @typedef {Schemas["Level"]} Level
 * @typedef {Schemas["Verdict"]} Verdict
 */
export {};
