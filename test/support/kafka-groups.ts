import kafkajs from 'kafkajs';

const { AssignerProtocol, Kafka, logLevel } = kafkajs;

/** Who has which partitions of a group, as the broker tells anybody: `topic/partition` to the member's client id. */
export async function ownersOf(brokers: readonly string[], group: string): Promise<Map<string, string>> {
  const kafka = new Kafka({ clientId: 'test', brokers: [...brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  try {
    const owners = new Map<string, string>();
    const { groups } = await admin.describeGroups([group]);
    for (const { clientId, memberAssignment } of groups[0]?.members ?? []) {
      const decoded = memberAssignment.length > 0 ? AssignerProtocol.MemberAssignment.decode(memberAssignment) : null;
      for (const [topic, partitions] of Object.entries(decoded?.assignment ?? {}))
        for (const partition of partitions) owners.set(`${topic}/${partition}`, clientId);
    }
    return owners;
  } finally {
    await admin.disconnect();
  }
}
