/* SPDX-License-Identifier: MIT */
/* There is one processor, number 0, on any machine. */
#ifndef SHRINKER_LINUX_SMP_H
#define SHRINKER_LINUX_SMP_H

#define NR_CPUS 1
#define nr_cpu_ids 1U
#define num_online_cpus() 1U
#define num_possible_cpus() 1U
#define smp_processor_id() 0
#define raw_smp_processor_id() 0
#define get_cpu() 0
#define put_cpu() ((void)0)
#define cpu_online(cpu) ((cpu) == 0)
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < 1; (cpu)++)
#define for_each_online_cpu(cpu) for_each_possible_cpu(cpu)
#define for_each_present_cpu(cpu) for_each_possible_cpu(cpu)

#endif /* SHRINKER_LINUX_SMP_H */
