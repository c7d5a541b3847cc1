/* 64-bit products and quotients under the Arm run-time ABI's register rules (IHI0043, section 4.2). */
    .syntax unified
    .thumb

#ifdef __ARM_ARCH_6M__
/* r1:r0 times r3:r2, low 64 bits. Armv6-M has no long multiply: four products of 16 bits. */
    .section .text.__aeabi_lmul, "ax", %progbits
    .globl __aeabi_lmul
    .type __aeabi_lmul, %function
    .thumb_func
__aeabi_lmul:
    push {r4, lr}
    muls r1, r2, r1
    muls r3, r0, r3
    adds r1, r1, r3
    mov r12, r1
    uxth r3, r0
    lsrs r1, r0, #16
    uxth r4, r2
    lsrs r2, r2, #16
    mov r0, r3
    muls r0, r4, r0
    muls r3, r2, r3
    muls r4, r1, r4
    muls r1, r2, r1
    lsls r2, r3, #16
    lsrs r3, r3, #16
    adds r0, r0, r2
    adcs r1, r3
    lsls r2, r4, #16
    lsrs r4, r4, #16
    adds r0, r0, r2
    adcs r1, r4
    add r1, r12
    pop {r4, pc}
    .size __aeabi_lmul, . - __aeabi_lmul
#endif

/* Quotient in r1:r0, remainder in r3:r2. */
.macro divide name, function
    .section .text.\name, "ax", %progbits
    .globl \name
    .type \name, %function
    .thumb_func
\name:
    push {r4, lr}
    sub sp, #16
    add r4, sp, #8
    str r4, [sp]
    bl \function
    ldr r2, [sp, #8]
    ldr r3, [sp, #12]
    add sp, #16
    pop {r4, pc}
    .size \name, . - \name
.endm
    divide __aeabi_uldivmod, __udivmoddi4
    divide __aeabi_ldivmod, __divmoddi4
