/* 32-bit product for cores without a multiply instruction (RV32E and RV32I).

   __mulsi3(a0, a1) shifts and adds over the bits of one factor, four a round, until none is left. Small factors end
   early, whatever their signs: a negative one is negated together with the other, and the smaller of the two is walked.
   int8 times int8 takes about 40 instructions. */
#ifndef __riscv_mul
    .section .text.__mulsi3, "ax", @progbits
    .globl __mulsi3
    .type __mulsi3, @function
__mulsi3:
    mv a2, a0
    li a0, 0
    bgez a1, 1f
    neg a1, a1
    neg a2, a2
1:  bgeu a2, a1, 2f
    mv a3, a2
    mv a2, a1
    mv a1, a3
2:  andi a3, a1, 1
    beqz a3, 3f
    add a0, a0, a2
3:  andi a3, a1, 2
    slli a2, a2, 1
    beqz a3, 4f
    add a0, a0, a2
4:  andi a3, a1, 4
    slli a2, a2, 1
    beqz a3, 5f
    add a0, a0, a2
5:  andi a3, a1, 8
    slli a2, a2, 1
    beqz a3, 6f
    add a0, a0, a2
6:  srli a1, a1, 4
    slli a2, a2, 1
    bnez a1, 2b
    ret
    .size __mulsi3, . - __mulsi3
#endif
